// A hash of 32 bits to 32 bits: PCG-RXS-M-XS (Jarzynski and Olano, 2020), the source of all random numbers.
fn pcg(v: u32) -> u32 {
    let s = v * 747796405u + 2891336453u;
    let t = ((s >> ((s >> 28u) + 4u)) ^ s) * 277803737u;
    return (t >> 22u) ^ t;
}
