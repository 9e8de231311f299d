"""LeNet from files in plain PyTorch: a Dataset over a folder per class, a DataLoader with two workers."""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    def __init__(self, folder: Path, size: int) -> None:
        self.classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        self.size = size
        self.examples = [
            (path, label) for label, name in enumerate(self.classes) for path in sorted((folder / name).glob("*.jpg"))
        ]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        path, label = self.examples[row]
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR))
        return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / 255), label


def lenet(classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.LazyLinear(120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader) -> float:
    network.eval()
    right = sum(int((network(pictures).argmax(1) == labels).sum()) for pictures, labels in loader)
    return right / len(loader.dataset)


def main(folder: Path, size: int, epochs: int, batch: int) -> None:
    torch.manual_seed(0)
    training, validation, test = (Pictures(folder / part, size) for part in ("train", "validation", "test"))
    options = {"batch_size": batch, "num_workers": 2, "persistent_workers": True}
    loader = DataLoader(training, shuffle=True, **options)
    validation_loader, test_loader = DataLoader(validation, **options), DataLoader(test, **options)
    network = lenet(len(training.classes))
    network(torch.zeros(1, 3, size, size))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for epoch in range(epochs):
        network.train()
        for pictures, labels in loader:
            loss = nn.functional.cross_entropy(network(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {accuracy(network, validation_loader):.4f}", file=sys.stderr)
    print(accuracy(network, test_loader))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
