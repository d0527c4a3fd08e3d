"""The pipeline: one module per stage, and what the program makes for all stages."""
