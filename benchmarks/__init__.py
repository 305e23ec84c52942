"""Speed and memory against what a user would use instead: ratios, measured in one run."""
