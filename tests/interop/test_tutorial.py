"""The tutorials are run as a reader would: docs/tutorial.md, tutorial-masks.md, tutorial-text.md and tutorial-finetune.md say what each command writes."""

from tutorial import check

if __name__ == "__main__":
    check()
    print("the pages are right")
