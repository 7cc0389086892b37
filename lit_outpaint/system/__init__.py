"""Files, ranks and error messages: leaves that know nothing of models."""
