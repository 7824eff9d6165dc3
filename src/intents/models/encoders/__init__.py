"""What turns texts into vectors: pretrained encoders, fetched, checked, reduced."""
