"""Two classes of pictures in folders, and a network trained on them; the pictures are digits that come with scikit-learn."""

from PIL import Image
from sklearn.datasets import load_digits

from api.cli import app
from nas_service.settings import Settings

root = Settings().data / "flowers"
digits = load_digits()
for index, (pixels, label) in enumerate(zip(digits.images[:600], digits.target[:600], strict=True)):
    folder = root / ("rose" if label % 2 else "tulip")
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 15.9).astype("uint8")).resize((40, 40)).save(folder / f"{index}.png")

settings = ["--set", "dataset.settings.path=flowers", "--set", "dataset.settings.image_size=32"]
words = ["train-local", "--space", "tiny", "--dataset", "image-folder", *settings, "--epochs", "1", "-o", "flowers.zip"]
app(words, standalone_mode=False)
