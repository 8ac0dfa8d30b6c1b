"""`ecomind bench`: a workload, its generator, and the checks that make figures worth quoting."""
