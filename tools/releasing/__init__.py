"""What `tools/release` is made of: the same bytes for the same source, whoever builds it and wherever.

`source` knows what is released, `build` makes the program of it, `program` asks the program what it needs and what it says of itself,
`contents` puts files in their places, `archive` writes them down, `debian` adds what a package has besides files, `sbom` lists what the
program is made of, and `make` does all of that.
"""
