// Reads the G words of the next pass's weight block out of W, while the current pass runs.
//
// Words go into the registers behind the working block, so reading waits until the block before has been
// sent into the array, and yields to slots that read W themselves. pass_ready_o: the pass needs no block, or
// its last word is read in this cycle or was before.
//
// Throughput: one word per cycle. Golden: hw/golden_array.py.

module weight_loader #(
  parameter  int unsigned G      = 16,  // side of the array
  localparam int unsigned IndexW = $clog2(G),
  localparam int unsigned CountW = $clog2(G + 1)
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              pass_valid_i,
  input  logic              pass_load_i,
  input  logic [15:0]       pass_b_i,
  input  logic              pass_taken_i,
  output logic              pass_ready_o,
  input  logic              swap_wait_i,  // the block before has not been sent into the array
  input  logic              w_claim_i,    // W is for slots in this cycle
  output logic              ren_o,
  output logic [15:0]       addr_o,
  output logic [IndexW-1:0] index_o,
  output logic              block_o       // a block's last word is read
);

  logic [CountW-1:0] count_q;
  logic              last_q, complete_q;  // the next word is the block's last; all are read

  assign ren_o        = pass_valid_i && pass_load_i && !complete_q && !swap_wait_i && !w_claim_i;
  assign addr_o       = pass_b_i + 16'(count_q);
  assign index_o      = count_q[IndexW-1:0];
  assign block_o      = ren_o && last_q;
  assign pass_ready_o = pass_valid_i && (!pass_load_i || complete_q || (last_q && !swap_wait_i && !w_claim_i));

  always_ff @(posedge clk_i) begin
    if (!rst_ni || pass_taken_i) begin
      count_q    <= '0;
      last_q     <= 1'b0;
      complete_q <= 1'b0;
    end else if (ren_o) begin
      count_q    <= count_q + 1'b1;
      last_q     <= count_q == CountW'(G - 2);
      complete_q <= last_q;
    end
  end

endmodule
