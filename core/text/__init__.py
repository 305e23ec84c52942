"""Languages, scripts, romanisation, segmentation, Arabic normalisation, and sampling over languages."""
