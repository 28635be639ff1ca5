# ulx3s-85f-ecp5 with nextpnr-ecp5; other seeds follow where the clock is not met: see the manifest.
set -eu
yosys -m slang -s synth.ys
nextpnr-ecp5 --85k --package CABGA381 --speed 6 --json joulegrad.json --lpf joulegrad.lpf --textcfg joulegrad.config --report report.json --freq 50 --timing-allow-fail --seed 2 --placer static --router router2
ecppack --compress joulegrad.config joulegrad.bit
