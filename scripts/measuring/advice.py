"""What a streamer on a real OBS is told of wrong settings, how soon, and that it is well with right ones."""
import json
import pathlib
import tempfile
import time

from .programs import PROBES, WORK, run, started
from .server import ROOT, Weir

# OBS's settings that are wrong, and the words of the cure. OBS without a sound source sends silence.
WRONG = {
    "keyint 10": ({"OBS_KEYINT": "10"}, "Keyframe Interval: 2 s"),
    "no sound": ({"OBS_MEDIA": "silent"}, "Audio Mixer"),
    "6 B-frames": ({"OBS_BF": "6"}, "bframes=2"),
}
NAMED_WITHIN_S = 10
# OBS needs some ten of these to start.
SHOWN_S = 30
# A goodbye ends the session after three seconds; whoever changes a setting needs longer.
CHANGED_S = 8


def silent_film():
    file = WORK / "silent-film.mp4"
    if not file.exists():
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=854x480:r=30:d=12", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", file]
        status, _, said = run(command, 120)
        assert status == 0, said
    return file


def look(weir, *options):
    """What dock and dashboard said."""
    token = (weir.data / "api-token").read_text().strip()
    command = ["node", ROOT / "tests/browser/advice.mjs", weir.url(""), "show", *options]
    _, out, said = run(command, 120, {"TOKEN": token})
    try:
        return json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"the pages could not be looked at: {said[-500:]}") from None


def push(weir, key, folder, **settings):
    env = {"OBS_KEYINT": "2", "OBS_SIZE": "854x480", "OBS_WORK": str(folder), **settings}
    if env.get("OBS_MEDIA") == "silent":
        env["OBS_MEDIA"] = str(silent_film())
    return started([PROBES / "obs_push.sh", weir.rtmp, "live", key, SHOWN_S, 1500], env)


def measure():
    """[(what, figure, whether it is met)] of each wrong setting and of the right ones behind them."""
    shots = WORK / "advice"
    shots.mkdir(parents=True, exist_ok=True)
    rows = []
    for what, (settings, cure) in WRONG.items():
        with Weir() as weir, tempfile.TemporaryDirectory(prefix="weir-obs-") as folder:
            key = weir.add_stream("show", "--ladder", "240p:300k")
            name = what.replace(" ", "-")
            with push(weir, key, pathlib.Path(folder), **settings) as obs:
                wrong = look(weir, "--seconds", SHOWN_S, "--screenshots", shots / f"{name}-wrong")
                # It presses Stop; a killed one would be waited for.
                obs.wait(90)
            time.sleep(CHANGED_S)
            with push(weir, key, pathlib.Path(folder)):
                right = look(weir, "--seconds", SHOWN_S + 15, "--until", "Good", "--screenshots", shots / f"{name}-right")
        told = {page: next((said["s"] for said in wrong[page]["says"] if cure in said["cure"]), None) for page in ("dock", "dashboard")}
        green = {page: right[page]["says"][-1]["verdict"] if right[page]["says"] else None for page in told}
        met = all(s is not None and s <= NAMED_WITHIN_S for s in told.values()) and set(green.values()) == {"Good"}
        words = ", ".join(f"{page} after {s:.1f} s" if s is not None else f"{page} never" for page, s in told.items())
        rows.append((what, f"cure named: {words}; with right settings: {', '.join(f'{page} {word}' for page, word in green.items())}", met))
    return rows
