"""Plans of regions: what stands where, on one picture or on a whole canvas. Free of torch."""
