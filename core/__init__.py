"""What papers share: models, data, training, metrics, reports. Knows no paper."""
