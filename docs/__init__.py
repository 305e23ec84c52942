"""The site: its texts, and what makes its generated pages."""
