"""Networks: the frozen encoders, the U-Net's conditioning and its attention rule."""
