// The DDR address of every image of a transfer, in order.
//
//   address(i) = addr + image(i) * stride mod 2^32
//   image(i)   = use_list ? low 16 bits of list word 1 + slot + i : i
//
// Without a list one address per cycle. With a list 3 cycles plus the bits of the image number: the product is
// made by shifts and additions, while the runs of the image before are under way.
// Golden: hw/golden_memory.py runs().

module image_addresses #(
  parameter int unsigned ListWords = 512  // 64-bit words of the image list
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        flush_i,  // forget the transfer

  // One transfer; taken whenever start_i is set, which is only after its last address has been taken.
  input  logic        start_i,
  input  logic [31:0] addr_i,
  input  logic [31:0] stride_i,
  input  logic [11:0] count_i,  // images, at least 1
  input  logic [11:0] slot_i,
  input  logic        use_list_i,

  output logic        il_ren_o,
  output logic [15:0] il_addr_o,
  input  logic [15:0] il_rdata_i,      // one cycle after il_ren_o
  output logic        list_error_o,    // the list ends before the word that is wanted

  output logic        img_valid_o,
  input  logic        img_ready_i,
  output logic [31:0] img_addr_o
);

  typedef enum logic [2:0] {Idle, Read, Take, Multiply, Offer} state_e;

  state_e      state_q, state_d;
  logic        use_list_q;
  logic [31:0] base_q, stride_q, multiple_q, sum_q;
  logic [15:0] image_q;
  logic [12:0] word_q;
  logic [11:0] left_q;
  logic        taken, past_end;

  assign past_end     = 32'(word_q) >= ListWords;
  assign il_ren_o     = state_q == Read && !past_end;
  assign il_addr_o    = 16'(word_q);
  assign list_error_o = state_q == Read && past_end;
  assign img_valid_o  = state_q == Offer;
  assign img_addr_o   = sum_q;
  assign taken        = img_valid_o && img_ready_i;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      Idle:     if (start_i) state_d = use_list_i ? Read : Offer;
      Read:     if (!past_end) state_d = Take;
      Take:     state_d = Multiply;
      Multiply: if (image_q[15:1] == '0) state_d = Offer;
      Offer:    if (taken) state_d = left_q == 12'd1 ? Idle : use_list_q ? Read : Offer;
      default:  state_d = Idle;
    endcase
    if (flush_i) state_d = Idle;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) state_q <= Idle;
    else state_q <= state_d;
  end

  always_ff @(posedge clk_i) begin
    if (state_q == Idle) begin
      if (start_i) begin
        use_list_q <= use_list_i;
        base_q     <= addr_i;
        stride_q   <= stride_i;
        sum_q      <= addr_i;
        word_q     <= 13'(slot_i) + 13'd1;
        left_q     <= count_i;
      end
    end else if (state_q == Take) begin
      image_q    <= il_rdata_i;
      multiple_q <= stride_q;
      sum_q      <= base_q;
    end else if (state_q == Multiply) begin
      if (image_q[0]) sum_q <= sum_q + multiple_q;
      multiple_q <= multiple_q << 1;
      image_q    <= image_q >> 1;
    end else if (taken) begin
      sum_q  <= sum_q + stride_q;
      word_q <= word_q + 13'd1;
      left_q <= left_q - 12'd1;
    end
  end

`ifndef SYNTHESIS
  StartsIdle: assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> state_q == Idle && count_i != '0);
`endif

endmodule
