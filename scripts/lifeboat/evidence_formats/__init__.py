"""Evidence as texts that others read: a page, Markdown, JUnit."""
