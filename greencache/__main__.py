"""`python -m greencache` is the `greencache` command."""

from greencache.cli import main

if __name__ == "__main__":
    main()
