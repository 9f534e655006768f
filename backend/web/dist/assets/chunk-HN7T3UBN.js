import{b as e}from"./chunk-VZPMX4T2.js";import{ea as o,ga as r}from"./chunk-UW6GJZDM.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
