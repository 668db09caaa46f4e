"""A GitLab of one group and one project behind /_gitlab/, whose pipelines really run the repository's own scripts."""
