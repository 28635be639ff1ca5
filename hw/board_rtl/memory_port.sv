// An AXI3 slave port of the on-chip memory: bursts to beats.
//
// One burst each way at a time; a beat per cycle while the memory grants it. Data of a granted read come back three
// cycles later and wait in a queue of eight, so a master that is not ready holds up nobody else. Beats outside the
// memory are answered with an error and not written. Bursts are incrementing, of whole beats.
// Golden: an array, see tests/test_rtl_onchip_memory.py.

module memory_port #(
  parameter  int unsigned AxiBits  = 64,
  parameter  int unsigned Words    = 32768,  // of AxiBits
  localparam int unsigned StrbBits = AxiBits / 8,
  localparam int unsigned LaneW    = $clog2(StrbBits),
  localparam int unsigned AddrW    = $clog2(Words)
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  input  logic [5:0]          axi_arid_i,
  input  logic [31:0]         axi_araddr_i,
  input  logic [3:0]          axi_arlen_i,
  input  logic                axi_arvalid_i,
  output logic                axi_arready_o,
  output logic [5:0]          axi_rid_o,
  output logic [AxiBits-1:0]  axi_rdata_o,
  output logic [1:0]          axi_rresp_o,
  output logic                axi_rlast_o,
  output logic                axi_rvalid_o,
  input  logic                axi_rready_i,
  input  logic [5:0]          axi_awid_i,
  input  logic [31:0]         axi_awaddr_i,
  input  logic [3:0]          axi_awlen_i,
  input  logic                axi_awvalid_i,
  output logic                axi_awready_o,
  input  logic [AxiBits-1:0]  axi_wdata_i,
  input  logic [StrbBits-1:0] axi_wstrb_i,
  input  logic                axi_wvalid_i,
  output logic                axi_wready_o,
  output logic [5:0]          axi_bid_o,
  output logic [1:0]          axi_bresp_o,
  output logic                axi_bvalid_o,
  input  logic                axi_bready_i,

  output logic                rreq_o,
  output logic [AddrW-1:0]    raddr_o,
  input  logic                rgnt_i,
  input  logic [AxiBits-1:0]  rdata_i,  // three cycles behind the grant
  output logic                wreq_o,
  output logic [AddrW-1:0]    waddr_o,
  output logic [AxiBits-1:0]  wdata_o,
  output logic [StrbBits-1:0] wstrb_o,
  input  logic                wgnt_i
);

  localparam int unsigned Queue       = 8;
  localparam int unsigned BeatAddrW   = 32 - LaneW;
  localparam logic [1:0]  Okay        = 2'b00;
  localparam logic [1:0]  DecodeError = 2'b11;

  typedef struct packed {
    logic [5:0] id;
    logic       outside;
    logic       last;
  } tag_t;

  // Read bursts.
  logic                 read_q, rlast, roomy;
  logic [BeatAddrW-1:0] read_beat_q;
  logic [3:0]           read_left_q, waiting_q;  // beats after the present one; asked for and not taken
  logic [5:0]           read_id_q;
  logic [2:0]           coming_q;
  tag_t [2:0]           tag_q;
  logic                 pop, queue_ready, routside;
  tag_t                 out_tag;

  assign axi_arready_o = !read_q;
  assign roomy         = waiting_q != 4'(Queue);
  assign routside      = read_beat_q >= BeatAddrW'(Words);
  assign rreq_o        = read_q && roomy;
  assign raddr_o       = read_beat_q[AddrW-1:0];
  assign rlast         = read_left_q == '0;
  assign pop           = axi_rvalid_o && axi_rready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      read_q    <= 1'b0;
      coming_q  <= '0;
      waiting_q <= '0;
    end else begin
      if (axi_arvalid_i && axi_arready_o) read_q <= 1'b1;
      else if (rgnt_i && rlast) read_q <= 1'b0;
      coming_q  <= {coming_q[1:0], rgnt_i};
      waiting_q <= waiting_q + 4'(rgnt_i) - 4'(pop);
    end
  end

  always_ff @(posedge clk_i) begin
    if (axi_arvalid_i && axi_arready_o) begin
      read_beat_q <= axi_araddr_i[31:LaneW];
      read_left_q <= axi_arlen_i;
      read_id_q   <= axi_arid_i;
    end else if (rgnt_i) begin
      read_beat_q <= read_beat_q + BeatAddrW'(1);
      read_left_q <= read_left_q - 4'd1;
    end
    tag_q <= {tag_q[1:0], tag_t'{id: read_id_q, outside: routside, last: rlast}};
  end

  fifo #(
    .Width(AxiBits + $bits(tag_t)),
    .Depth(Queue)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .in_valid_i (coming_q[2]),
    .in_ready_o (queue_ready),
    .in_data_i  ({tag_q[2], rdata_i}),
    .out_valid_o(axi_rvalid_o),
    .out_ready_i(axi_rready_i),
    .out_data_o ({out_tag, axi_rdata_o})
  );

  assign axi_rid_o   = out_tag.id;
  assign axi_rlast_o = out_tag.last;
  assign axi_rresp_o = out_tag.outside ? DecodeError : Okay;

  // Write bursts.
  logic                 write_q, woutside;
  logic [BeatAddrW-1:0] write_beat_q;
  logic [3:0]           write_left_q;

  assign axi_awready_o = !write_q && (!axi_bvalid_o || axi_bready_i);
  assign wreq_o        = write_q && axi_wvalid_i;
  assign woutside      = write_beat_q >= BeatAddrW'(Words);
  assign waddr_o       = write_beat_q[AddrW-1:0];
  assign wdata_o       = axi_wdata_i;
  assign wstrb_o       = woutside ? '0 : axi_wstrb_i;
  assign axi_wready_o  = wgnt_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q      <= 1'b0;
      axi_bvalid_o <= 1'b0;
    end else begin
      if (axi_bready_i) axi_bvalid_o <= 1'b0;
      if (axi_awvalid_i && axi_awready_o) write_q <= 1'b1;
      else if (wgnt_i && write_left_q == '0) begin
        write_q      <= 1'b0;
        axi_bvalid_o <= 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (axi_awvalid_i && axi_awready_o) begin
      write_beat_q <= axi_awaddr_i[31:LaneW];
      write_left_q <= axi_awlen_i;
      axi_bid_o    <= axi_awid_i;
      axi_bresp_o  <= Okay;
    end else if (wgnt_i) begin
      write_beat_q <= write_beat_q + BeatAddrW'(1);
      write_left_q <= write_left_q - 4'd1;
      if (woutside) axi_bresp_o <= DecodeError;
    end
  end

  logic unused_lanes;
  assign unused_lanes = ^{axi_araddr_i[LaneW-1:0], axi_awaddr_i[LaneW-1:0]};

`ifndef SYNTHESIS
  QueueHasRoomA : assert property (@(posedge clk_i) disable iff (!rst_ni) coming_q[2] |-> queue_ready);
  GrantAskedA : assert property (@(posedge clk_i) disable iff (!rst_ni) (rgnt_i |-> rreq_o) and (wgnt_i |-> wreq_o));
  WholeBeatsA : assert property (@(posedge clk_i) disable iff (!rst_ni)
    axi_arvalid_i |-> axi_araddr_i[LaneW-1:0] == '0);
`endif

endmodule
