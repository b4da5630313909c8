"""`python -m lucidgen`: the command line, where its script is not on the path."""

from .commands.app import main

if __name__ == "__main__":
    main()
