"""The tutorial is run as a reader would: docs/tutorial.md says what each command writes."""

from tutorial import check

if __name__ == "__main__":
    check()
    print("the page is right")
