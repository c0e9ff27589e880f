"""The tutorial, all but PyTorch's, is run as a reader would: docs/tutorial.md says what each command writes."""

from tutorial import check

if __name__ == "__main__":
    check("run_onnx.py")
    print("the page is right")
