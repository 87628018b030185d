//! The picture of the test card, drawn into one I420 canvas. Only what changes is drawn again.

use super::font::{self, GLYPH_HEIGHT, GLYPH_WIDTH};

/// A colour in BT.709 video range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Color {
    y: u8,
    u: u8,
    v: u8,
}

const fn color(y: u8, u: u8, v: u8) -> Color {
    Color { y, u, v }
}

/// 75 % bars: grey, yellow, cyan, green, magenta, red, blue (SMPTE RP 219).
const BARS: [Color; 7] = [
    color(180, 128, 128),
    color(168, 44, 136),
    color(145, 147, 44),
    color(133, 63, 52),
    color(63, 193, 204),
    color(51, 109, 212),
    color(28, 212, 120),
];
const DARK: Color = color(28, 130, 126);
const TRACK: Color = color(48, 130, 126);
const WHITE: Color = color(235, 128, 128);
const BLOCK: Color = color(150, 60, 170);

/// Sizes in luma samples at 1280x720; all even.
const TITLE_SCALE: usize = 6;
const CLOCK_SCALE: usize = 12;
const BLOCK_WIDTH: usize = 64;
const BLOCK_STEP: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Area {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// The card and what was drawn last.
#[derive(Debug)]
pub(super) struct Card {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    block_x: Option<usize>,
    second: Option<u64>,
    is_flashing: bool,
}

impl Card {
    /// Bars above, the title and room for clock, block and flash below. Sizes are even.
    pub fn new(width: usize, height: usize, title: &str) -> Self {
        let mut card = Self {
            width,
            height,
            pixels: vec![128; width * height * 3 / 2],
            block_x: None,
            second: None,
            is_flashing: false,
        };
        card.fill(Area { x: 0, y: 0, width, height }, DARK);
        let bar = width / BARS.len() / 2 * 2;
        for (n, bar_color) in BARS.into_iter().enumerate() {
            let last = n + 1 == BARS.len();
            card.fill(
                Area { x: n * bar, y: 0, width: if last { width - n * bar } else { bar }, height: card.bars_height() },
                bar_color,
            );
        }
        card.fill(card.track(), TRACK);
        let words: String = title.chars().take(24).collect();
        let y = card.bars_height() + 30;
        card.text(40, y, TITLE_SCALE, &words.to_uppercase());
        card
    }

    /// The canvas: luma, then both chroma planes, without padding.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Draws picture `n`: the block moves on, the flash is on or off, the clock shows this second of the day in UTC.
    pub fn draw(&mut self, n: i64, flash: bool, second: u64) {
        let track = self.track();
        if let Some(x) = self.block_x {
            self.fill(Area { x, width: BLOCK_WIDTH, ..track }, TRACK);
        }
        let span = (track.width - BLOCK_WIDTH) / BLOCK_STEP;
        let x = track.x + usize::try_from(n).unwrap_or(0) % span * BLOCK_STEP;
        self.fill(Area { x, width: BLOCK_WIDTH, ..track }, BLOCK);
        self.block_x = Some(x);
        if self.second != Some(second) {
            self.second = Some(second);
            let clock = format!("{:02}:{:02}:{:02}", second / 3600 % 24, second / 60 % 60, second % 60);
            let y = self.bars_height() + 96;
            self.text(40, y, CLOCK_SCALE, &clock);
        }
        if self.is_flashing != flash {
            self.is_flashing = flash;
            let area = Area {
                x: self.width / 2 + 80,
                y: self.bars_height() + 20,
                width: self.width / 2 - 120,
                height: self.height - self.bars_height() - 90,
            };
            self.fill(Area { x: area.x / 2 * 2, y: area.y / 2 * 2, ..area }, if flash { WHITE } else { DARK });
        }
    }

    fn bars_height(&self) -> usize {
        self.height * 2 / 3 / 2 * 2
    }

    fn track(&self) -> Area {
        Area { x: 40, y: self.height - 50, width: self.width - 80, height: 32 }
    }

    /// Areas have even sides and corners, so luma and chroma agree.
    fn fill(&mut self, area: Area, fill: Color) {
        let Area { x, y, width, height } = area;
        for row in self.pixels[y * self.width..].chunks_mut(self.width).take(height) {
            row[x..x + width].fill(fill.y);
        }
        let (half, luma) = (self.width / 2, self.width * self.height);
        let chroma = half * (self.height / 2);
        for (plane, value) in [(luma, fill.u), (luma + chroma, fill.v)] {
            for row in self.pixels[plane + y / 2 * half..plane + chroma].chunks_mut(half).take(height / 2) {
                row[x / 2..(x + width) / 2].fill(value);
            }
        }
    }

    /// Writes white on dark; glyphs that don't fit in the width are left out.
    fn text(&mut self, x: usize, y: usize, scale: usize, words: &str) {
        let advance = (GLYPH_WIDTH + 1) * scale;
        for (n, character) in words.chars().enumerate() {
            let left = x + n * advance;
            if left + advance > self.width {
                return;
            }
            for (row, bits) in font::glyph(character).into_iter().enumerate().take(GLYPH_HEIGHT) {
                for column in 0..GLYPH_WIDTH {
                    let lit = bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1;
                    let area = Area { x: left + column * scale, y: y + row * scale, width: scale, height: scale };
                    self.fill(area, if lit { WHITE } else { DARK });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(card: &Card) -> f64 {
        let luma = &card.pixels()[..card.width * card.height];
        luma.iter().map(|v| f64::from(*v)).sum::<f64>() / luma.len() as f64
    }

    #[test]
    fn the_flash_is_bright_and_leaves_no_trace() {
        let mut card = Card::new(1280, 720, "demo");
        card.draw(5, false, 1);
        let before = (card.pixels().to_vec(), mean(&card));
        card.draw(5, true, 1);
        assert!(mean(&card) > before.1 + 15.0, "{} after {}", mean(&card), before.1);
        card.draw(5, false, 1);
        assert!(card.pixels() == before.0);
    }

    #[test]
    fn every_second_and_picture_looks_different() {
        let mut card = Card::new(1280, 720, "demo");
        card.draw(0, false, 0);
        let first = card.pixels().to_vec();
        card.draw(0, false, 1);
        assert!(card.pixels() != first);
        card.draw(1, false, 0);
        assert!(card.pixels() != first);
        card.draw(0, false, 0);
        assert!(card.pixels() == first);
    }

    #[test]
    fn a_long_title_is_cut() {
        Card::new(1280, 720, &"W".repeat(500));
    }
}
