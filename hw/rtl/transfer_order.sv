// Which load (store) instructions are under way, and the report of their end in order.
//
// An instruction is done when all its bursts are issued and retired and all before it are done. Tags 0 to 3 name
// the instructions under way. One burst may be issued and one retired per cycle; done_o comes the cycle after.

module transfer_order (
  input  logic       clk_i,
  input  logic       rst_ni,

  input  logic       start_i,        // an instruction starts and takes tag_o; not while full_o
  output logic [1:0] tag_o,
  output logic       full_o,

  input  logic       issue_i,        // a burst of issue_tag_i goes out
  input  logic [1:0] issue_tag_i,
  input  logic       issue_last_i,   // ... the last of its instruction
  input  logic       empty_i,        // the instruction empty_tag_i has no bursts
  input  logic [1:0] empty_tag_i,
  input  logic       retire_i,       // a burst of retire_tag_i is finished
  input  logic [1:0] retire_tag_i,

  output logic       done_o,
  output logic [3:0] active_o        // by tag: started and not done
);

  logic [3:0][5:0] bursts_q;  // issued and not retired
  logic [3:0]      active_q, closed_q;
  logic [1:0]      head_q, tail_q;

  assign tag_o    = tail_q;
  assign full_o   = active_q[tail_q];
  assign active_o = active_q;
  assign done_o   = active_q[head_q] && closed_q[head_q] && bursts_q[head_q] == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      bursts_q <= '0;
      active_q <= '0;
      closed_q <= '0;
      head_q   <= '0;
      tail_q   <= '0;
    end else begin
      if (start_i) begin
        active_q[tail_q] <= 1'b1;
        closed_q[tail_q] <= 1'b0;
        tail_q           <= tail_q + 1'b1;
      end
      if (done_o) begin
        active_q[head_q] <= 1'b0;
        head_q           <= head_q + 1'b1;
      end
      if (empty_i) closed_q[empty_tag_i] <= 1'b1;
      if (issue_i && issue_last_i) closed_q[issue_tag_i] <= 1'b1;
      for (int unsigned t = 0; t < 4; t++) begin
        if ((issue_i && issue_tag_i == 2'(t)) != (retire_i && retire_tag_i == 2'(t)))
          bursts_q[t] <= (issue_i && issue_tag_i == 2'(t)) ? bursts_q[t] + 1'b1 : bursts_q[t] - 1'b1;
      end
    end
  end

`ifndef SYNTHESIS
  NotFull: assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> !full_o);
  RetiresWhatIsOut: assert property (@(posedge clk_i) disable iff (!rst_ni) retire_i |-> bursts_q[retire_tag_i] != '0);
`endif

endmodule
