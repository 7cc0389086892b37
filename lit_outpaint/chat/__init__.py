"""Every question to a language model: requests, clients, batching, pacing and what it cost."""
