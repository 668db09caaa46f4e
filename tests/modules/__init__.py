"""The modules, by `terraform test` and by what their READMEs show."""
