"""What a training run needs beside the model: optimisers, averages, random draws, checkpoints, sharding, logs."""
