"""Pictures that carry their number, drawn so that scaling and encoding leave it readable; and reading them back."""
import subprocess

BITS = 14
# One white cell and one black to know what is bright, then the bits.
CELLS = BITS + 2
# The two are further apart than this wherever the cells can be read; on black or on another picture they are not.
APART_MIN = 80


def marks(width, height, first=0):
    """Filters that draw each picture's number, counted from `first`, into the top twelfth."""
    tall, wide = height // 12, width // CELLS
    filters = [f"drawbox=x=0:y=0:w={width}:h={tall}:c=black:t=fill", f"drawbox=x=0:y=0:w={wide}:h={tall}:c=white:t=fill"]
    for bit in range(BITS):
        x, weight = (bit + 2) * width // CELLS, 1 << (BITS - 1 - bit)
        filters.append(f"drawbox=x={x}:y=0:w={wide}:h={tall}:c=white:t=fill:enable='eq(mod(floor((n+{first})/{weight})\\,2)\\,1)'")
    return ",".join(filters)


def read(source, *options, timeout=600):
    """Decodes a file or an address whole, sound and all. Gives the number of each picture, None for one without, and what ffmpeg
    complained about. `options` stand before the input."""
    shrink = f"crop=iw:ih/24:0:ih/48,scale={CELLS}:1:flags=area,format=gray"
    command = ["ffmpeg", "-nostdin", "-v", "error", *options, "-i", source]
    # The track's own time base: in ffmpeg's default one, two close pictures fall together.
    command += ["-map", "0:v:0", "-vf", shrink, "-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "rawvideo", "-"]
    command += ["-map", "0:a:0?", "-f", "null", "-"]
    try:
        said = subprocess.run([str(word) for word in command], capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return [], f"reading did not end within {timeout} s"
    complaints = said.stderr.decode(errors="replace").strip()
    if said.returncode and not complaints:
        complaints = f"ffmpeg ended with {said.returncode}"
    rows = [said.stdout[at : at + CELLS] for at in range(0, len(said.stdout) - CELLS + 1, CELLS)]
    return [number(row) for row in rows], complaints


def number(row):
    """The number in the brightness of a row of cells, or None."""
    if row[0] - row[1] < APART_MIN:
        return None
    middle = (row[0] + row[1]) / 2
    return int("".join("1" if cell > middle else "0" for cell in row[2:]), 2)
