"""Reading crawl archives: WARC, ARC, WACZ, folders of HTML; records out, whatever is broken in between."""
