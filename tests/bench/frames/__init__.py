"""`make bench-frames`: which rate of frames the lab keeps, how late its results are, and where the CPU goes."""
