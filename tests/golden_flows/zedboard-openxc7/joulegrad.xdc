# zedboard-z7020: no pin of the programmable logic is used; the clock is the processing system's.
