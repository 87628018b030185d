"""How far sound and picture are apart: a clip with a flash and a beep at each second, and what a reader sees of them."""
import re
import subprocess

from .programs import WORK

# A flash is white all over; the moving pattern between flashes never is that bright.
BRIGHT = 200
LOUD = 0.1
# Flash and beep that belong together are closer than half of their distance from the next.
PAIR_MAX_S = 0.4


def marked_clip(name, size, fps=30, seconds=60, bitrate="1500k"):
    """A moving pattern that flashes for 0.1 s at each whole second, with a beep as long; kept in target/accept."""
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / f"marked-{name}.mkv"
    if not file.exists():
        draft = file.with_suffix(".draft.mkv")
        flash = "drawbox=c=white:t=fill:enable='lt(mod(t+0.001,1),0.1)'"
        beep = "if(lt(mod(t,1),0.1),0.6*sin(2*PI*1000*t),0)"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s={size}:r={fps}:d={seconds},{flash}"]
        command += ["-f", "lavfi", "-i", f"aevalsrc='{beep}':s=48000:d={seconds}:c=stereo", "-c:v", "libx264", "-preset", "veryfast", "-b:v", bitrate]
        command += ["-pix_fmt", "yuv420p", "-g", 2 * fps, "-bf", 2, "-c:a", "aac", "-b:a", "128k", draft]
        subprocess.run([str(word) for word in command], check=True)
        draft.rename(file)
    return file


def offsets_ms(url, seconds, variant=0):
    """For each beep in so many seconds of a file or stream, its distance from its flash: positive when the sound is late. Empty
    when nothing could be read."""
    picture = ["-map", f"0:v:{variant}", "-vf", "scale=32:18:flags=area,format=gray,showinfo", "-fps_mode", "passthrough", "-f", "null", "-"]
    sound = ["-map", "0:a:0", "-af", f"silencedetect=n={LOUD}:d=0.3", "-f", "null", "-"]
    command = ["ffmpeg", "-nostdin", "-v", "info", "-nostats", "-copyts", "-t", seconds, "-i", url, *picture, *sound]
    try:
        said = subprocess.run([str(word) for word in command], capture_output=True, timeout=3 * seconds + 30).stderr.decode(errors="replace")
    except subprocess.TimeoutExpired:
        return []
    flashes, was_bright = [], True
    for at, mean in re.findall(r"pts_time:(-?[\d.]+).*?mean:\[(\d+)", said):
        is_bright = int(mean) >= BRIGHT
        if is_bright and not was_bright:
            flashes.append(float(at))
        was_bright = is_bright
    beeps = [float(at) for at in re.findall(r"silence_end: (-?[\d.]+)", said)]
    pairs = [min((beep - flash for flash in flashes), key=abs) for beep in beeps if flashes]
    return [1000 * apart for apart in pairs if abs(apart) < PAIR_MAX_S]
