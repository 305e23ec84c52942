"""What the site makes from the repository: pages of papers, annotated sources, cards, scoreboard, equations."""
