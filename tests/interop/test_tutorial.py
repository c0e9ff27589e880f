"""The tutorials are run as a reader would: docs/tutorial.md, tutorial-masks.md and tutorial-text.md say what each command writes."""

from tutorial import check

if __name__ == "__main__":
    check()
    print("the pages are right")
