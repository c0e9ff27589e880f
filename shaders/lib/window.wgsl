// Sizes of a window that moves over images: n images h × w × c; windows kh × kw, sh rows and sw columns apart;
// oh × ow places; o output channels; pt rows and pl columns of zeros before the image.
override n: u32;
override h: u32;
override w: u32;
override c: u32;
override kh: u32;
override kw: u32;
override o: u32;
override oh: u32;
override ow: u32;
override sh: u32;
override sw: u32;
override pt: u32;
override pl: u32;
