"""One turn of the loop, a file a step: survey, look, settle, submit, pull, record."""
