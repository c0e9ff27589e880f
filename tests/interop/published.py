"""Published nets that torchvision does not have, as their authors wrote them, for test_pytorch_vision.py."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


class DoubleConv(nn.Module):
    """milesial/Pytorch-UNet."""

    def __init__(self, before, after):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
            nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(before, after))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.up = nn.ConvTranspose2d(before, before // 2, kernel_size=2, stride=2)
        self.conv = DoubleConv(before, after)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.up(x)], dim=1))


class OutConv(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel_size=1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.inc = DoubleConv(3, 64)
        self.down1, self.down2 = Down(64, 128), Down(128, 256)
        self.down3, self.down4 = Down(256, 512), Down(512, 1024)
        self.up1, self.up2, self.up3, self.up4 = Up(1024, 512), Up(512, 256), Up(256, 128), Up(128, 64)
        self.outc = OutConv(64, classes)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.up1(self.down4(x4), x4)
        return self.outc(self.up4(self.up3(self.up2(x, x3), x2), x1))


class WideBlock(nn.Module):
    """xternalz/WideResNet-pytorch."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.convShortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False) if before != after else None

    def forward(self, x):
        normal = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(normal))))
        return y + (x if self.convShortcut is None else self.convShortcut(normal))


class WideStage(nn.Module):
    def __init__(self, blocks, before, after, stride):
        super().__init__()
        sizes = [(before if i == 0 else after, stride if i == 0 else 1) for i in range(blocks)]
        self.layer = nn.Sequential(*(WideBlock(before, after, stride) for before, stride in sizes))

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, blocks, width, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.block1 = WideStage(blocks, 16, 16 * width, 1)
        self.block2 = WideStage(blocks, 16 * width, 32 * width, 2)
        self.block3 = WideStage(blocks, 32 * width, 64 * width, 2)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.fc = nn.Linear(64 * width, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.block3(self.block2(self.block1(self.conv1(x))))))
        return self.fc(F.avg_pool2d(x, 8).flatten(1))


class ResNet9(nn.Module):
    """davidcpage/cifar10-fast, whose graph of named nodes gives these names."""

    def __init__(self, classes):
        super().__init__()
        convs = OrderedDict(
            prep=(3, 64), layer1=(64, 128), layer1_residual_res1=(128, 128), layer1_residual_res2=(128, 128),
            layer2=(128, 256), layer3=(256, 512), layer3_residual_res1=(512, 512), layer3_residual_res2=(512, 512))
        for name, (before, after) in convs.items():
            self.add_module(f"{name}_conv", nn.Conv2d(before, after, 3, padding=1, bias=False))
            self.add_module(f"{name}_bn", nn.BatchNorm2d(after))
        self.linear = nn.Linear(512, classes, bias=False)

    def part(self, x, name):
        return F.relu(getattr(self, f"{name}_bn")(getattr(self, f"{name}_conv")(x)))

    def residual(self, x, name):
        return x + self.part(self.part(x, f"{name}_residual_res1"), f"{name}_residual_res2")

    def forward(self, x):
        x = self.residual(F.max_pool2d(self.part(self.part(x, "prep"), "layer1"), 2), "layer1")
        x = F.max_pool2d(self.part(x, "layer2"), 2)
        x = self.residual(F.max_pool2d(self.part(x, "layer3"), 2), "layer3")
        return self.linear(F.max_pool2d(x, 4).flatten(1)) * 0.125


class Attention(nn.Module):
    """timm's, of a vision transformer."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, places, width = x.shape
        q, k, v = self.qkv(x).reshape(n, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, places, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(OrderedDict(fc1=nn.Linear(width, 4 * width), act=nn.GELU(), fc2=nn.Linear(4 * width, width)))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """timm's vit_tiny_patch16_224, with the normalisation of its weights' pictures."""

    def __init__(self, classes, size, width=192, heads=3):
        super().__init__()
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + (size // 16) ** 2, width))
        self.patch_embed = nn.Sequential(OrderedDict(proj=nn.Conv2d(3, width, 16, 16)))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, classes)

    def forward(self, x):
        x = self.patch_embed((x - 0.5) / 0.5).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class MixerBlock(nn.Module):
    def __init__(self, width, places):
        super().__init__()
        mlp = lambda own, hidden: nn.Sequential(OrderedDict(fc1=nn.Linear(own, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, own)))
        self.norm1, self.mlp_tokens = nn.LayerNorm(width, eps=1e-6), mlp(places, width // 2)
        self.norm2, self.mlp_channels = nn.LayerNorm(width, eps=1e-6), mlp(width, 4 * width)

    def forward(self, x):
        x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mlp_channels(self.norm2(x))


class Mixer(nn.Module):
    """timm's mixer_s16_224, with the normalisation of its weights' pictures."""

    def __init__(self, classes, size, width=512):
        super().__init__()
        self.stem = nn.Sequential(OrderedDict(proj=nn.Conv2d(3, width, 16, 16)))
        self.blocks = nn.Sequential(*(MixerBlock(width, (size // 16) ** 2) for _ in range(8)))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem((x - 0.5) / 0.5).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


def vit_tiny_patch16_224(classes, size):
    return VisionTransformer(classes, size)


def mixer_s16_224(classes, size):
    return Mixer(classes, size)


def unet(classes):
    return UNet(classes)


def wrn16_8(classes):
    return WideResNet(2, 8, classes)


def resnet9(classes):
    return ResNet9(classes)
