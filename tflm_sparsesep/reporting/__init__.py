"""Parts of the HTML report of a model."""
