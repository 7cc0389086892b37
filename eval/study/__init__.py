"""A study with people: a page of blinded pairs, and what the answers say."""
