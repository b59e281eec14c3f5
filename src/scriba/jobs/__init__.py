"""Work that outlives the request that ordered it. The table is the only truth."""
