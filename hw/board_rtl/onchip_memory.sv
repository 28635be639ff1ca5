// On-chip memory in place of DDR: two AXI3 slave ports for the core, an AXI4-Lite port for the host.
//
// One read and one write per cycle, of any port each. The AXI4-Lite port goes first, a cycle late (it asks once in hundreds),
// the others in turn. Latency of a read: 6 cycles from address to data; a response to a write comes when every later
// read sees it. Outside the memory: decode error. Golden: an array, see tests/test_rtl_onchip_memory.py.

module onchip_memory #(
  parameter  int unsigned AxiBits  = 64,
  parameter  int unsigned Words    = 32768,  // of AxiBits
  localparam int unsigned StrbBits = AxiBits / 8,
  localparam int unsigned LaneW    = $clog2(StrbBits),
  localparam int unsigned AddrW    = $clog2(Words)
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  input  logic [5:0]          s0_axi_arid_i,
  input  logic [31:0]         s0_axi_araddr_i,
  input  logic [3:0]          s0_axi_arlen_i,
  input  logic                s0_axi_arvalid_i,
  output logic                s0_axi_arready_o,
  output logic [5:0]          s0_axi_rid_o,
  output logic [AxiBits-1:0]  s0_axi_rdata_o,
  output logic [1:0]          s0_axi_rresp_o,
  output logic                s0_axi_rlast_o,
  output logic                s0_axi_rvalid_o,
  input  logic                s0_axi_rready_i,
  input  logic [5:0]          s0_axi_awid_i,
  input  logic [31:0]         s0_axi_awaddr_i,
  input  logic [3:0]          s0_axi_awlen_i,
  input  logic                s0_axi_awvalid_i,
  output logic                s0_axi_awready_o,
  input  logic [AxiBits-1:0]  s0_axi_wdata_i,
  input  logic [StrbBits-1:0] s0_axi_wstrb_i,
  input  logic                s0_axi_wvalid_i,
  output logic                s0_axi_wready_o,
  output logic [5:0]          s0_axi_bid_o,
  output logic [1:0]          s0_axi_bresp_o,
  output logic                s0_axi_bvalid_o,
  input  logic                s0_axi_bready_i,

  input  logic [5:0]          s1_axi_arid_i,
  input  logic [31:0]         s1_axi_araddr_i,
  input  logic [3:0]          s1_axi_arlen_i,
  input  logic                s1_axi_arvalid_i,
  output logic                s1_axi_arready_o,
  output logic [5:0]          s1_axi_rid_o,
  output logic [AxiBits-1:0]  s1_axi_rdata_o,
  output logic [1:0]          s1_axi_rresp_o,
  output logic                s1_axi_rlast_o,
  output logic                s1_axi_rvalid_o,
  input  logic                s1_axi_rready_i,
  input  logic [5:0]          s1_axi_awid_i,
  input  logic [31:0]         s1_axi_awaddr_i,
  input  logic [3:0]          s1_axi_awlen_i,
  input  logic                s1_axi_awvalid_i,
  output logic                s1_axi_awready_o,
  input  logic [AxiBits-1:0]  s1_axi_wdata_i,
  input  logic [StrbBits-1:0] s1_axi_wstrb_i,
  input  logic                s1_axi_wvalid_i,
  output logic                s1_axi_wready_o,
  output logic [5:0]          s1_axi_bid_o,
  output logic [1:0]          s1_axi_bresp_o,
  output logic                s1_axi_bvalid_o,
  input  logic                s1_axi_bready_i,

  // AXI4-Lite, 32 bits.
  input  logic [31:0]         lite_awaddr_i,
  input  logic                lite_awvalid_i,
  output logic                lite_awready_o,
  input  logic [31:0]         lite_wdata_i,
  input  logic [3:0]          lite_wstrb_i,
  input  logic                lite_wvalid_i,
  output logic                lite_wready_o,
  output logic [1:0]          lite_bresp_o,
  output logic                lite_bvalid_o,
  input  logic                lite_bready_i,
  input  logic [31:0]         lite_araddr_i,
  input  logic                lite_arvalid_i,
  output logic                lite_arready_o,
  output logic [31:0]         lite_rdata_o,
  output logic [1:0]          lite_rresp_o,
  output logic                lite_rvalid_o,
  input  logic                lite_rready_i
);

  localparam int unsigned Lite        = 2;  // number of the AXI4-Lite port
  localparam int unsigned BeatAddrW   = 32 - LaneW;
  localparam logic [1:0]  Okay        = 2'b00;
  localparam logic [1:0]  DecodeError = 2'b11;

  logic [2:0]               rreq, rgnt, wreq, wgnt;
  logic [2:0][AddrW-1:0]    raddr, waddr;
  logic [2:0][AxiBits-1:0]  wdata;
  logic [2:0][StrbBits-1:0] wstrb;
  logic [AxiBits-1:0]       rdata;
  logic [1:0]               rchosen, wchosen;
  logic                     rturn_q, wturn_q;  // the core's port that goes first

  memory_port #(
    .AxiBits(AxiBits),
    .Words  (Words)
  ) u_port0 (
    .clk_i,
    .rst_ni,
    .axi_arid_i   (s0_axi_arid_i),
    .axi_araddr_i (s0_axi_araddr_i),
    .axi_arlen_i  (s0_axi_arlen_i),
    .axi_arvalid_i(s0_axi_arvalid_i),
    .axi_arready_o(s0_axi_arready_o),
    .axi_rid_o    (s0_axi_rid_o),
    .axi_rdata_o  (s0_axi_rdata_o),
    .axi_rresp_o  (s0_axi_rresp_o),
    .axi_rlast_o  (s0_axi_rlast_o),
    .axi_rvalid_o (s0_axi_rvalid_o),
    .axi_rready_i (s0_axi_rready_i),
    .axi_awid_i   (s0_axi_awid_i),
    .axi_awaddr_i (s0_axi_awaddr_i),
    .axi_awlen_i  (s0_axi_awlen_i),
    .axi_awvalid_i(s0_axi_awvalid_i),
    .axi_awready_o(s0_axi_awready_o),
    .axi_wdata_i  (s0_axi_wdata_i),
    .axi_wstrb_i  (s0_axi_wstrb_i),
    .axi_wvalid_i (s0_axi_wvalid_i),
    .axi_wready_o (s0_axi_wready_o),
    .axi_bid_o    (s0_axi_bid_o),
    .axi_bresp_o  (s0_axi_bresp_o),
    .axi_bvalid_o (s0_axi_bvalid_o),
    .axi_bready_i (s0_axi_bready_i),
    .rreq_o       (rreq[0]),
    .raddr_o      (raddr[0]),
    .rgnt_i       (rgnt[0]),
    .rdata_i      (rdata),
    .wreq_o       (wreq[0]),
    .waddr_o      (waddr[0]),
    .wdata_o      (wdata[0]),
    .wstrb_o      (wstrb[0]),
    .wgnt_i       (wgnt[0])
  );

  memory_port #(
    .AxiBits(AxiBits),
    .Words  (Words)
  ) u_port1 (
    .clk_i,
    .rst_ni,
    .axi_arid_i   (s1_axi_arid_i),
    .axi_araddr_i (s1_axi_araddr_i),
    .axi_arlen_i  (s1_axi_arlen_i),
    .axi_arvalid_i(s1_axi_arvalid_i),
    .axi_arready_o(s1_axi_arready_o),
    .axi_rid_o    (s1_axi_rid_o),
    .axi_rdata_o  (s1_axi_rdata_o),
    .axi_rresp_o  (s1_axi_rresp_o),
    .axi_rlast_o  (s1_axi_rlast_o),
    .axi_rvalid_o (s1_axi_rvalid_o),
    .axi_rready_i (s1_axi_rready_i),
    .axi_awid_i   (s1_axi_awid_i),
    .axi_awaddr_i (s1_axi_awaddr_i),
    .axi_awlen_i  (s1_axi_awlen_i),
    .axi_awvalid_i(s1_axi_awvalid_i),
    .axi_awready_o(s1_axi_awready_o),
    .axi_wdata_i  (s1_axi_wdata_i),
    .axi_wstrb_i  (s1_axi_wstrb_i),
    .axi_wvalid_i (s1_axi_wvalid_i),
    .axi_wready_o (s1_axi_wready_o),
    .axi_bid_o    (s1_axi_bid_o),
    .axi_bresp_o  (s1_axi_bresp_o),
    .axi_bvalid_o (s1_axi_bvalid_o),
    .axi_bready_i (s1_axi_bready_i),
    .rreq_o       (rreq[1]),
    .raddr_o      (raddr[1]),
    .rgnt_i       (rgnt[1]),
    .rdata_i      (rdata),
    .wreq_o       (wreq[1]),
    .waddr_o      (waddr[1]),
    .wdata_o      (wdata[1]),
    .wstrb_o      (wstrb[1]),
    .wgnt_i       (wgnt[1])
  );

  // The AXI4-Lite port: one access each way at a time.
  logic       lite_rask_q, lite_wask_q, lite_read_q, lite_routside, lite_routside_q, lite_woutside;
  logic [2:0] lite_coming_q;
  logic       lane_q;  // upper half of a beat of 64 bits
  logic       unused_lite;

  assign lite_routside  = lite_araddr_i[31:LaneW] >= BeatAddrW'(Words);
  assign lite_woutside  = lite_awaddr_i[31:LaneW] >= BeatAddrW'(Words);
  assign unused_lite    = ^{lite_araddr_i[1:0], lite_awaddr_i[1:0], lane_q};
  assign rreq[Lite]     = lite_rask_q;
  assign raddr[Lite]    = lite_araddr_i[LaneW +: AddrW];
  assign lite_arready_o = rgnt[Lite];
  assign wreq[Lite]     = lite_wask_q;
  assign waddr[Lite]    = lite_awaddr_i[LaneW +: AddrW];
  assign wdata[Lite]    = {(AxiBits/32){lite_wdata_i}};
  assign lite_awready_o = wgnt[Lite];
  assign lite_wready_o  = wgnt[Lite];

  always_comb begin
    wstrb[Lite] = '0;
    for (int unsigned i = 0; i < StrbBits; i += 4) begin
      if ((AxiBits == 32 || lite_awaddr_i[2] == (i == 4)) && !lite_woutside) wstrb[Lite][i +: 4] = lite_wstrb_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      lite_rask_q   <= 1'b0;
      lite_wask_q   <= 1'b0;
      lite_read_q   <= 1'b0;
      lite_coming_q <= '0;
      lite_rvalid_o <= 1'b0;
      lite_bvalid_o <= 1'b0;
    end else begin
      lite_rask_q   <= lite_arvalid_i && !lite_read_q && !lite_rask_q;
      lite_wask_q   <= lite_awvalid_i && lite_wvalid_i && !lite_bvalid_o && !lite_wask_q;
      lite_coming_q <= {lite_coming_q[1:0], rgnt[Lite]};
      if (rgnt[Lite]) lite_read_q <= 1'b1;
      else if (lite_rvalid_o && lite_rready_i) lite_read_q <= 1'b0;
      if (lite_coming_q[2]) lite_rvalid_o <= 1'b1;
      else if (lite_rready_i) lite_rvalid_o <= 1'b0;
      if (wgnt[Lite]) lite_bvalid_o <= 1'b1;
      else if (lite_bready_i) lite_bvalid_o <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (rgnt[Lite]) begin
      lane_q          <= lite_araddr_i[2];
      lite_routside_q <= lite_routside;
    end
    if (lite_coming_q[2]) begin
      lite_rdata_o <= rdata[(AxiBits == 64 && lane_q ? AxiBits - 32 : 0) +: 32];
      lite_rresp_o <= lite_routside_q ? DecodeError : Okay;
    end
    if (wgnt[Lite]) lite_bresp_o <= lite_woutside ? DecodeError : Okay;
  end

  always_comb begin
    rchosen = rreq[{1'b0, rturn_q}] ? {1'b0, rturn_q} : {1'b0, !rturn_q};
    wchosen = wreq[{1'b0, wturn_q}] ? {1'b0, wturn_q} : {1'b0, !wturn_q};
    if (rreq[Lite]) rchosen = 2'(Lite);
    if (wreq[Lite]) wchosen = 2'(Lite);
    rgnt = '0;
    wgnt = '0;
    rgnt[rchosen] = rreq[rchosen];
    wgnt[wchosen] = wreq[wchosen];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      rturn_q <= 1'b0;
      wturn_q <= 1'b0;
    end else begin
      if (rgnt[1:0] != '0) rturn_q <= rgnt[0];
      if (wgnt[1:0] != '0) wturn_q <= wgnt[0];
    end
  end

  ram_strobed #(
    .Width(AxiBits),
    .Depth(Words)
  ) u_ram (
    .clk_i,
    .ren_i  (rgnt != '0),
    .raddr_i(raddr[rchosen]),
    .rdata_o(rdata),
    .wen_i  (wgnt != '0),
    .waddr_i(waddr[wchosen]),
    .wdata_i(wdata[wchosen]),
    .wstrb_i(wstrb[wchosen])
  );

endmodule
