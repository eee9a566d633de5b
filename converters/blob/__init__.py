"""The blobs of packed layers: layouts, packing, sizes, requantization, pages."""
