"""xCoT (draft card)."""
