"""From crawl archives to scored image pairs."""
