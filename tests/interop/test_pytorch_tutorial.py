"""The tutorial, all with PyTorch, is run as a reader would: docs/tutorial.md says what each command writes."""

from tutorial import check

if __name__ == "__main__":
    check("run_pytorch.py")
    print("the page is right")
