"""How planned windows become pixels: the engines, their configuration, candidates and the queue of captions."""
