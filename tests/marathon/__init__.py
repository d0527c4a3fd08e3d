"""The marathon: faults at random on the running lab, and every frame accounted for; `make test-marathon`."""
