# pynq-z2-z7020 with openXC7; $CHIPDB and $PRJXRAY_DB_DIR are its folders of data.
set -eu
yosys -m slang -s synth.ys
nextpnr-xilinx --chipdb $CHIPDB/xc7z020clg400.bin --xdc joulegrad.xdc --json joulegrad.json --fasm joulegrad.fasm --freq 100 --timing-allow-fail --seed 1
fasm2frames --part xc7z020clg400-1 --db-root $PRJXRAY_DB_DIR/zynq7 joulegrad.fasm joulegrad.frames
xc7frames2bit --part_file $PRJXRAY_DB_DIR/zynq7/xc7z020clg400-1/part.yaml --part_name xc7z020clg400-1 --frm_file joulegrad.frames --output_file joulegrad.bit
